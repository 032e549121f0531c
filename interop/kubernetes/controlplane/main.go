// Controlplane is a Kubernetes control plane without anything that runs
// containers: `controlplane etcd DIR CLIENT-URL PEER-URL` keeps its data, and
// `controlplane apiserver FLAGS` is kube-apiserver, with kube-apiserver's flags.
// Both are the programs Kubernetes ships, linked from their Go modules, because
// their module cannot be installed by name.
package main

import (
	"fmt"
	"net/url"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if len(os.Args) < 2 {
		stop(fmt.Errorf("say etcd or apiserver"))
	}
	switch os.Args[1] {
	case "etcd":
		stop(etcd(os.Args[2:]))
	case "apiserver":
		command := app.NewAPIServerCommand()
		command.SetArgs(os.Args[2:])
		stop(command.Execute())
	default:
		stop(fmt.Errorf("%q is neither etcd nor apiserver", os.Args[1]))
	}
}

func etcd(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("etcd wants a folder, the address of its clients and the address of its peers")
	}
	client, err := url.Parse(args[1])
	if err != nil {
		return fmt.Errorf("the address of the clients: %w", err)
	}
	peer, err := url.Parse(args[2])
	if err != nil {
		return fmt.Errorf("the address of the peers: %w", err)
	}
	config := embed.NewConfig()
	config.Dir = args[0]
	config.LogLevel = "error"
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	return <-server.Err()
}

func stop(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}
