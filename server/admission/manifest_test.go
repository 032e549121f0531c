package admission

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestTheDocumentedWebhookSendsWhatIsRead compares the configuration in the
// documentation with the kinds that can be read.
func TestTheDocumentedWebhookSendsWhatIsRead(t *testing.T) {
	page, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(page), "```yaml\n")
	text, _, closed := strings.Cut(text, "```")
	var config struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Webhooks   []struct {
			ClientConfig            struct{ URL string } `yaml:"clientConfig"`
			FailurePolicy           string               `yaml:"failurePolicy"`
			MatchPolicy             string               `yaml:"matchPolicy"`
			SideEffects             string               `yaml:"sideEffects"`
			TimeoutSeconds          int                  `yaml:"timeoutSeconds"`
			AdmissionReviewVersions []string             `yaml:"admissionReviewVersions"`
			Rules                   []struct {
				APIGroups             []string `yaml:"apiGroups"`
				APIVersions           []string `yaml:"apiVersions"`
				Operations, Resources []string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil || !ok || !closed || len(config.Webhooks) != 1 {
		t.Fatalf("%v, %d webhooks", err, len(config.Webhooks))
	}
	w := config.Webhooks[0]
	if config.APIVersion != "admissionregistration.k8s.io/v1" || config.Kind != "ValidatingWebhookConfiguration" || !strings.HasSuffix(w.ClientConfig.URL, Path) ||
		w.FailurePolicy != "Fail" || w.MatchPolicy != "Equivalent" || w.SideEffects != "None" || w.TimeoutSeconds <= int(decideWithin.Seconds()) || !slices.Contains(w.AdmissionReviewVersions, "v1") {
		t.Errorf("the webhook is %+v", w)
	}
	sent := map[string]bool{"/pods/ephemeralcontainers": true}
	for _, rule := range w.Rules {
		if !slices.Equal(rule.Operations, []string{"CREATE", "UPDATE"}) {
			t.Errorf("%v: %v", rule.Resources, rule.Operations)
		}
		for _, resource := range rule.Resources {
			sent[rule.APIGroups[0]+"/"+resource] = true
		}
		for _, version := range rule.APIVersions {
			known := false
			for name, s := range shapes {
				known = known || strings.HasPrefix(name, rule.APIGroups[0]+"/") && slices.Contains(s.versions, version)
			}
			if !known {
				t.Errorf("version %s of %q is sent and not read", version, rule.APIGroups[0])
			}
		}
	}
	if !strings.Contains(text, "pods/ephemeralcontainers") {
		t.Error("containers that are added to a running pod are not sent")
	}
	for name := range shapes {
		resource := strings.ToLower(name) + "s"
		if !sent[resource] {
			t.Errorf("%s is read and not sent", name)
		}
		delete(sent, resource)
	}
	delete(sent, "/pods/ephemeralcontainers")
	if len(sent) > 0 {
		t.Errorf("%v are sent and not read", sent)
	}
}
