// Decodes Kubernetes manifests strictly into the types of the API: an unknown field, a value of another type or a field
// given twice is an error. Usage: manifests FILE...
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// The kinds that deploy/ uses; another one is an error until it is listed here.
var kinds = map[string]func() any{
	"v1/Namespace":       func() any { return new(corev1.Namespace) },
	"v1/ServiceAccount":  func() any { return new(corev1.ServiceAccount) },
	"v1/ConfigMap":       func() any { return new(corev1.ConfigMap) },
	"v1/Service":         func() any { return new(corev1.Service) },
	"apps/v1/DaemonSet":  func() any { return new(appsv1.DaemonSet) },
	"apps/v1/Deployment": func() any { return new(appsv1.Deployment) },
}

func main() {
	documents, failed := 0, false
	for _, name := range os.Args[1:] {
		count, err := checkFile(name)
		documents += count
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			failed = true
		}
	}
	if failed || documents == 0 {
		fmt.Fprintf(os.Stderr, "%d documents were good before that\n", documents)
		os.Exit(1)
	}
	fmt.Printf("%d documents in %d files: ok\n", documents, len(os.Args)-1)
}

// checkFile returns how many documents were good, and the first error.
func checkFile(name string) (int, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	reader := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for count := 0; ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err == nil && isEmpty(document) {
			continue
		}
		if err == nil {
			err = check(document)
		}
		if err != nil {
			return count, fmt.Errorf("document %d: %w", count+1, err)
		}
		count++
	}
}

// isEmpty tells documents of comments alone, such as what stands before the first separator.
func isEmpty(document []byte) bool {
	object, err := yaml.YAMLToJSON(document)
	return err == nil && string(object) == "null"
}

func check(document []byte) error {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return err
	}
	kind := meta.APIVersion + "/" + meta.Kind
	object, known := kinds[kind]
	if !known {
		return fmt.Errorf("kind %q is not in the list of this program", kind)
	}
	into := object()
	// First YAML, where a field given twice is seen; then JSON as an API server reads it, where letter case counts.
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	strict, err := json.UnmarshalStrict(text, into)
	if err := errors.Join(append(strict, err)...); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return checkSelector(into)
}

// checkSelector refuses what decodes but what an API server would refuse: a selector that misses its own template.
func checkSelector(object any) error {
	var selector *metav1.LabelSelector
	var template corev1.PodTemplateSpec
	switch object := object.(type) {
	case *appsv1.DaemonSet:
		selector, template = object.Spec.Selector, object.Spec.Template
	case *appsv1.Deployment:
		selector, template = object.Spec.Selector, object.Spec.Template
	default:
		return nil
	}
	if selector == nil || len(selector.MatchLabels) == 0 {
		return errors.New("no selector")
	}
	for key, value := range selector.MatchLabels {
		if template.Labels[key] != value {
			return fmt.Errorf("the selector wants %s=%s, which the template has not", key, value)
		}
	}
	volumes := map[string]bool{}
	for _, volume := range template.Spec.Volumes {
		volumes[volume.Name] = true
	}
	for _, container := range template.Spec.Containers {
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] {
				return fmt.Errorf("container %s mounts the volume %s, which there is not", container.Name, mount.Name)
			}
		}
	}
	return nil
}
