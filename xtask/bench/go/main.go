// `service PORT BACKEND [SINK]`: a net/http server that makes one call to http://BACKEND/ for each request. With SINK, the
// OpenTelemetry SDK tells of both, as its documentation has it, to http://SINK/v1/traces.
package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
)

var answer = bytes.Repeat([]byte("x"), 1024)

// As many connections as there are requests at a time, and all of them kept.
const connections = 100

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: service PORT BACKEND [SINK]")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = connections, connections
	client := &http.Client{Transport: transport}
	var handler http.Handler = handle(client, "http://"+os.Args[2]+"/")
	if len(os.Args) > 3 {
		handler = told(handler, client, os.Args[3])
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], handler))
}

// handle calls, and answers 1 KiB.
func handle(client *http.Client, url string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := get(r.Context(), client, url); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(answer) // Whoever asked may be gone.
	}
}

func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	_, read := io.Copy(io.Discard, response.Body)
	return errors.Join(err, read, response.Body.Close())
}

// told puts the SDK around a service: every request sampled, all limits and intervals as they are.
func told(handler http.Handler, client *http.Client, sink string) http.Handler {
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpoint(sink), otlptracehttp.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	provider := otelhttp.WithTracerProvider(
		trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithSampler(trace.AlwaysSample())))
	propagators := otelhttp.WithPropagators(propagation.TraceContext{})
	client.Transport = otelhttp.NewTransport(client.Transport, provider, propagators)
	return otelhttp.NewHandler(handler, "service", provider, propagators)
}
