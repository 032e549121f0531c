package tracking

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"imprimatur.dev/artifact"
)

// openS3 returns the client of the object store that the usual variables of AWS
// name.
func openS3(cfg Config) (*minio.Core, error) {
	env := cfg.Env
	endpoint := cmp.Or(env("MLFLOW_S3_ENDPOINT_URL"), env("AWS_ENDPOINT_URL_S3"), env("AWS_ENDPOINT_URL"), "https://s3.amazonaws.com")
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("the S3 endpoint %q is not of the form https://HOST; set AWS_ENDPOINT_URL_S3", endpoint)
	}
	var from credentials.Provider = &credentials.FileAWSCredentials{Filename: env("AWS_SHARED_CREDENTIALS_FILE"), Profile: env("AWS_PROFILE")}
	if key := env("AWS_ACCESS_KEY_ID"); key != "" {
		from = &credentials.Static{Value: credentials.Value{
			AccessKeyID: key, SecretAccessKey: env("AWS_SECRET_ACCESS_KEY"), SessionToken: env("AWS_SESSION_TOKEN"), SignerType: credentials.SignatureV4,
		}}
	} else if env("AWS_WEB_IDENTITY_TOKEN_FILE") != "" || env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || env("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" {
		from = &credentials.IAM{Client: &http.Client{Transport: cfg.Transport}}
	}
	// A name of its own in the path is what every store understands that is not AWS's.
	lookup := minio.BucketLookupAuto
	if !strings.HasSuffix(u.Hostname(), ".amazonaws.com") {
		lookup = minio.BucketLookupPath
	}
	return minio.NewCore(u.Host, &minio.Options{
		Creds: credentials.New(from), Secure: u.Scheme == "https", Transport: cfg.Transport, BucketLookup: lookup,
		Region: cmp.Or(env("AWS_REGION"), env("AWS_DEFAULT_REGION")), MaxRetries: 1,
	})
}

// bucket is a place in S3 from which may be read: all keys below prefix, or all
// where it is empty.
type bucket struct{ name, prefix string }

func openBuckets(places []string) ([]bucket, error) {
	var out []bucket
	for _, p := range places {
		u, err := url.Parse(p)
		if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%q, from which may be read, is not of the form s3://BUCKET or s3://BUCKET/PREFIX", p)
		}
		out = append(out, bucket{u.Host, strings.Trim(u.Path, "/")})
	}
	return out, nil
}

// allowed refuses a key that the operator has not let be read: the server's
// credentials may reach more than whoever registers should.
func (c *Client) allowed(name, key string) error {
	for _, b := range c.buckets {
		if b.name == name && (b.prefix == "" || key == b.prefix || strings.HasPrefix(key, b.prefix+"/")) {
			return nil
		}
	}
	return fmt.Errorf("the server does not read %s, which its operator can allow: imprimatur serve --s3-from s3://%s",
		plain("s3://"+strings.Trim(name+"/"+key, "/"), 300), plain(name, 100))
}

// objects lists the model at a key: the object itself, or all below it.
func (c *Client) objects(ctx context.Context, bucket, key string) ([]artifact.Remote, error) {
	var files []artifact.Remote
	left := Attempts
	err := c.again(ctx, &left, func() error {
		files = nil
		return c.below(ctx, bucket, strings.Trim(key, "/"), &files)
	})
	return files, err
}

func (c *Client) below(ctx context.Context, bucket, key string, files *[]artifact.Remote) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	prefix := key + "/"
	if key == "" {
		prefix = ""
	}
	for o := range c.s3.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return s3Fault(o.Err)
		}
		path, ok := strings.CutPrefix(o.Key, prefix)
		if strings.HasSuffix(path, "/") || path == "" {
			continue // what stands for a folder in some tools
		}
		if !ok {
			return fmt.Errorf("%w: %q is not below %q", ErrListing, plain(o.Key, 200), plain(prefix, 200))
		}
		if err := checkPath(path); err != nil {
			return err
		}
		if len(*files) == MaxFiles {
			return fmt.Errorf("%w: it has more than %d files", ErrListing, MaxFiles)
		}
		*files = append(*files, c.object(path, bucket, o.Key, o.Size))
	}
	if len(*files) > 0 || key == "" {
		return ctx.Err()
	}
	info, err := c.s3.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return s3Fault(err)
	}
	*files = append(*files, c.object(".", bucket, key, info.Size))
	return nil
}

func (c *Client) object(path, bucket, key string, size int64) artifact.Remote {
	return c.remote(path, size, func(ctx context.Context, offset int64, tag string) (io.ReadCloser, string, error) {
		var opts minio.GetObjectOptions
		if offset > 0 {
			err := opts.SetRange(offset, 0)
			if tag != "" {
				err = errors.Join(err, opts.SetMatchETag(tag))
			}
			if err != nil {
				return nil, "", err
			}
		}
		w := c.watch(ctx)
		var info minio.ObjectInfo
		var err error
		if w.body, info, _, err = c.s3.GetObject(w.ctx, bucket, key, opts); err != nil {
			return nil, "", w.failed(s3Fault(err))
		}
		return w, info.ETag, nil
	})
}

// s3Fault makes an answer of the store one of ours, so that it is told which may pass.
func s3Fault(err error) error {
	var said minio.ErrorResponse
	if !errors.As(err, &said) || said.StatusCode == 0 {
		return fmt.Errorf("cannot read from S3: %w", err)
	}
	if said.StatusCode == http.StatusPreconditionFailed {
		return artifact.ErrChanged
	}
	return &Fault{Status: said.StatusCode, Code: plain(said.Code, 100), Message: plain(said.Message, 500), store: true}
}
