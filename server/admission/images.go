package admission

import (
	"regexp"
	"strings"
)

var pinnedImage = regexp.MustCompile(`^[^\s@]+@sha256:[0-9a-f]{64}$`)

// startsWithImage reports whether an image is one of those that a list begins.
// Both are read as a cluster does, which takes a name without a registry for one
// of docker.io; a beginning ends where a part of the name does.
func startsWithImage(image string, list []string) bool {
	if strings.Contains(image, "..") {
		return false
	}
	image = fullImage(image)
	for _, prefix := range list {
		if prefix == "" {
			continue
		}
		switch {
		case strings.Contains(prefix, "/") || !strings.Contains(prefix, "."):
			prefix = fullImage(prefix)
		default:
			prefix += "/" // a registry, and not another one at a port of its host
		}
		rest, ok := strings.CutPrefix(image, prefix)
		if ok && (rest == "" || strings.HasSuffix(prefix, "/") || strings.ContainsAny(rest[:1], "/:@")) {
			return true
		}
	}
	return false
}

func fullImage(image string) string {
	first, _, ok := strings.Cut(image, "/")
	switch {
	case !ok:
		return "docker.io/library/" + image
	case strings.ContainsAny(first, ".:") || first == "localhost":
		return image
	}
	return "docker.io/" + image
}
