package envoy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"imprimatur.dev/authority"
)

const (
	// maxMessage bounds a question: a body and what surrounds it.
	maxMessage = authority.MaxArguments + 256<<10
	// drainFor is how long questions may take to be answered when the server stops.
	drainFor = 5 * time.Second
	// keepAuthorization is the context extension of a route that leaves the token in
	// the request.
	keepAuthorization = "keep-authorization"
)

// ServeGRPC serves the gRPC service on a listener, which it closes, until the
// context ends.
func (f *Face) ServeGRPC(ctx context.Context, l net.Listener) error {
	s := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.MaxConcurrentStreams(1000), grpc.ConnectionTimeout(10*time.Second), grpc.MaxHeaderListSize(64<<10))
	authv3.RegisterAuthorizationServer(s, &checker{face: f})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving Envoy on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	late := time.AfterFunc(drainFor, s.Stop)
	defer late.Stop()
	s.GracefulStop()
	return nil
}

// checker is the gRPC service.
type checker struct {
	authv3.UnimplementedAuthorizationServer
	face *Face
}

// Check implements envoy.service.auth.v3.Authorization.
func (c *checker) Check(ctx context.Context, in *authv3.CheckRequest) (out *authv3.CheckResponse, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			out, err = denied(c.face.refused(ctx, fmt.Errorf("panic at a question of Envoy: %v", fault))), nil
		}
	}()
	by, request, err := requestOf(in)
	if err != nil {
		return denied(&refusal{status: http.StatusBadRequest, why: err.Error()}), nil
	}
	asked := in.GetAttributes().GetRequest().GetHttp()
	release, no := c.face.check(ctx, by, asked.GetHost(), asked.GetPath(), request)
	if no != nil {
		return denied(no), nil
	}
	ok := &authv3.OkHttpResponse{Headers: []*corev3.HeaderValueOption{set(ReleaseHeader, release)}}
	if in.GetAttributes().GetContextExtensions()[keepAuthorization] != "true" {
		ok.HeadersToRemove = []string{"authorization"}
	}
	return &authv3.CheckResponse{Status: &status.Status{Code: int32(codes.OK)}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: ok}}, nil
}

// requestOf reads what Envoy says of a request.
func requestOf(in *authv3.CheckRequest) (by shown, out authority.HTTPRequest, err error) {
	r := in.GetAttributes().GetRequest().GetHttp()
	if r == nil {
		return by, out, errors.New("the question is about no request over HTTP")
	}
	header := map[string][]string{}
	for name, value := range r.GetHeaders() {
		header[name] = []string{value}
	}
	for _, h := range r.GetHeaderMap().GetHeaders() {
		value := h.GetValue()
		if value == "" {
			value = string(h.GetRawValue())
		}
		header[h.GetKey()] = append(header[h.GetKey()], value)
	}
	for name := range header {
		if strings.HasPrefix(name, ":") {
			delete(header, name)
		}
	}
	body := r.GetRawBody()
	if len(body) == 0 {
		body = []byte(r.GetBody())
	}
	whole := strings.Join(header[strings.ToLower(partialBody)], "") == "false"
	out = authority.HTTPRequest{
		Method: r.GetMethod(), Header: header,
		Body: body, Unread: len(body) == 0 && !bodiless(r, header) || len(body) > 0 && !whole,
	}
	if credentials := header["authorization"]; len(credentials) == 1 {
		scheme, token, _ := strings.Cut(credentials[0], " ")
		if strings.EqualFold(scheme, "Bearer") {
			by.token = strings.TrimSpace(token)
		}
	}
	by.proofs, by.principal = header["dpop"], in.GetAttributes().GetSource().GetPrincipal()
	return by, out, nil
}

// bodiless reports whether a request says that it has no body. That Envoy sends
// none says nothing: it may not be told to.
func bodiless(r *authv3.AttributeContext_HttpRequest, header map[string][]string) bool {
	length, given := header["content-length"]
	if given {
		return strings.Join(length, ",") == "0"
	}
	// By HTTP/2 a body needs neither a length nor a coding.
	return len(header["transfer-encoding"]) == 0 && strings.HasPrefix(r.GetProtocol(), "HTTP/1.")
}

func set(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header: &corev3.HeaderValue{Key: strings.ToLower(name), Value: value}, AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func denied(no *refusal) *authv3.CheckResponse {
	headers := []*corev3.HeaderValueOption{set("Content-Type", "text/plain; charset=utf-8")}
	code := codes.PermissionDenied
	if no.status == http.StatusUnauthorized {
		code = codes.Unauthenticated
		headers = append(headers, set("WWW-Authenticate", `Bearer realm="imprimatur"`))
	}
	if no.after > 0 {
		headers = append(headers, set("Retry-After", seconds(no.after)))
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(code), Message: no.why},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode(no.status)}, Headers: headers, Body: no.why + "\n",
		}},
	}
}
