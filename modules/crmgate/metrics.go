// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/crmgate/crmgate/policy"
)

// Metrics are the gate's counters on Caddy's registry. Labels come from closed
// sets: never a person, an address or a path.
type Metrics struct {
	requests  *prometheus.CounterVec
	counters  atomic.Pointer[map[outcome]prometheus.Counter] // those of requests that were asked for, replaced as a whole
	duration  prometheus.Histogram
	signIns   *prometheus.CounterVec
	acts      *prometheus.CounterVec
	suspects  *prometheus.CounterVec
	reloads   *prometheus.GaugeVec
	age       *prometheus.GaugeVec
	sessions  prometheus.Gauge
	live      prometheus.Gauge
	auditRows *prometheus.GaugeVec
}

// metrics are made once: every configuration load registers the same collectors
// with its own registry, so that counters go on counting across reloads.
var metrics = newMetrics()

func newMetrics() *Metrics {
	const ns, sub = "caddy", "crmgate"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, labels)
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	return &Metrics{
		requests: counter("requests_total", "Requests by decision and reason.", "decision", "reason"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: sub, Name: "request_duration_seconds",
			Help: "Time from the first stage to the end of the answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		signIns:   counter("sign_ins_total", "Sign-ins by provider and result.", "provider", "result"),
		acts:      counter("account_acts_total", "What people did with their own accounts, by act and result.", "act", "result"),
		suspects:  counter("suspect_addresses_total", "Requests from addresses with a reputation, by category.", "category"),
		reloads:   gauges("last_reload_successful", "Whether the newest version of a watched file was accepted (1) or the last good one is in force (0).", "file"),
		age:       gauges("data_age_seconds", "Age of the data in force, by file.", "file"),
		sessions:  gauge("sessions", "Sessions in this gateway's view."),
		live:      gauge("live_connections", "Requests, sockets and streams in progress under a session."),
		auditRows: gauges("audit_records", "Audit records by where they are.", "state"),
	}
}

// register adds the collectors to a registry; a registry that has them already is
// the same configuration provisioned again.
func (m *Metrics) register(reg prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.requests, m.duration, m.signIns, m.acts, m.suspects, m.reloads, m.age, m.sessions, m.live, m.auditRows} {
		if err := reg.Register(c); err != nil {
			if _, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); !ok {
				return fmt.Errorf("registering metrics: %w", err)
			}
		}
	}
	return nil
}

// outcome is what became of a request. There are as many as reasons.
type outcome struct{ decision, reason string }

// Request counts one request.
func (m *Metrics) Request(decision, reason string) {
	o := outcome{decision, reason}
	known := m.counters.Load()
	if known != nil {
		if c := (*known)[o]; c != nil {
			c.Inc()
			return
		}
	}
	c := m.requests.WithLabelValues(decision, reason)
	c.Inc()
	more := map[outcome]prometheus.Counter{}
	if known != nil {
		maps.Copy(more, *known)
	}
	more[o] = c
	m.counters.CompareAndSwap(known, &more) // who comes second does it the next time
}

// Duration observes one request's time.
func (m *Metrics) Duration(d time.Duration) { m.duration.Observe(d.Seconds()) }

// SignIn counts one sign-in.
func (m *Metrics) SignIn(provider, result string) {
	m.signIns.WithLabelValues(provider, result).Inc()
}

// Suspect counts one request from an address with a reputation.
func (m *Metrics) Suspect(category string) { m.suspects.WithLabelValues(category).Inc() }

// act counts what somebody did with his own account: a proof, a factor, a password.
func (m *Metrics) act(act string, ok bool, reason policy.Reason) {
	result := "ok"
	if !ok {
		result = string(reason)
	}
	m.acts.WithLabelValues(act, result).Inc()
}
