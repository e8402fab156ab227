// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package democrm is a CRM to put behind the gateway: a REST API, a mobile
// sync API and a small web UI over records held in memory and seeded from a
// fixed number, so that two runs hold the same people.
//
// It is a realistic upstream and deliberately a trusting one: whoever presents
// a valid key pair sees every record and every field. Restricting that is the
// gateway's business. It also keeps the habits that make such an API hard to
// guard: GET requests that write, errors inside HTTP 200, JSON inside strings,
// copies of a phone number inside notes, names compared without regard to case.
//
// What it does with bad input: a request without a valid key pair is answered
// 401 before anything else is read; a body that is not JSON is 400; a search
// that cannot be parsed, names an unknown field or an unknown operator is an
// error and never "all records". docs/demo-crm.md lists every route.
package democrm

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Clock tells the time.
type Clock interface{ Now() time.Time }

// machineClock is the clock of the machine.
type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now() }

// Config says what to build. The zero value is a CRM of 10,000 leads.
type Config struct {
	// Leads is the number of seeded leads, 1 to 1,000,000; 0 means 10,000.
	// Opportunities, activities, tasks and accounts follow from it.
	Leads int
	// Seed makes other people, keys and numbers; 0 means 1. The well-known
	// lead and the five well-known users are the same under every seed.
	Seed uint64
	// RateLimit is how many calls one access key may make in five seconds;
	// beyond it calls are answered 429. 0 means no limit.
	RateLimit int
	// Clock tells the time of writes; nil means the machine's clock.
	Clock Clock
	// Log takes one debug line per call (method, path, user, status; never
	// the query, which may carry keys); nil discards.
	Log *slog.Logger
}

// CRM is one account of the demo CRM. Safe for concurrent use.
type CRM struct {
	clock Clock
	log   *slog.Logger

	socketEvery time.Duration
	eventsEvery time.Duration

	mux    *http.ServeMux
	assets map[string]asset
	limit  limiter

	// mu guards everything below. Records are never changed in place: a
	// write puts a changed copy in the old one's stead, so that an answer
	// can be encoded after the lock is gone.
	mu         sync.RWMutex
	rng        *rand.Rand
	account    account
	users      []*user
	keys       map[string]*user
	groups     []*group
	leads      *table
	activities *table
	opps       *table
	tasks      *table
	companies  *table
	types      []*eventType
	changes    []change
	deleted    []deletion
	templates  []permissionTemplate
	sales      []salesActivity
	products   []product
	mails      []Mail
	asyncDone  map[string]asyncResult
	field      fieldWork
	lastAuto   int
}

// account is what the CRM says about itself.
type account struct {
	id, code, apiKey string
}

// User is one person of the CRM with the key pair that acts for them.
type User struct {
	ID        string   `json:"ID"`
	Email     string   `json:"Email"`
	Name      string   `json:"Name"`
	Role      string   `json:"Role"` // Administrator, Sales_Manager, Marketing_User or Sales_User
	AccessKey string   `json:"AccessKey"`
	SecretKey string   `json:"SecretKey"`
	Groups    []string `json:"Groups"` // names of the sales groups they belong to
	Active    bool     `json:"Active"` // false: deactivated, their keys are dead
}

// New builds and seeds a CRM. The error names the setting that is out of range.
func New(cfg Config) (*CRM, error) {
	if cfg.Leads == 0 {
		cfg.Leads = 10000
	}
	if cfg.Leads < 1 || cfg.Leads > 1000000 {
		return nil, fmt.Errorf("building the demo CRM: leads is %d; give a number from 1 to 1000000", cfg.Leads)
	}
	if cfg.RateLimit < 0 {
		return nil, fmt.Errorf("building the demo CRM: rate limit is %d; give 0 (no limit) or more", cfg.RateLimit)
	}
	if cfg.Seed == 0 {
		cfg.Seed = 1
	}
	if cfg.Clock == nil {
		cfg.Clock = machineClock{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &CRM{
		clock:       cfg.Clock,
		log:         cfg.Log,
		socketEvery: time.Second,
		eventsEvery: 2 * time.Second,
		limit:       limiter{max: cfg.RateLimit},
		rng:         rand.New(rand.NewPCG(cfg.Seed, 0x63726d)),
		keys:        map[string]*user{},
		leads:       newTable(leadSchema),
		activities:  newTable(activitySchema),
		opps:        newTable(oppSchema),
		tasks:       newTable(taskSchema),
		companies:   newTable(companySchema),
		asyncDone:   map[string]asyncResult{},
	}
	c.seed(cfg.Leads)
	assets, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("loading the web UI's files: %w", err)
	}
	c.assets = assets
	c.mux = c.buildMux()
	return c, nil
}

// Users lists the people of the CRM, the five well-known ones first.
func (c *CRM) Users() []User {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]User, 0, len(c.users))
	for _, u := range c.users {
		out = append(out, User{
			ID: u.id, Email: u.email, Name: u.name(), Role: u.role,
			AccessKey: u.accessKey, SecretKey: u.secretKey,
			Groups: c.groupNames(u.id), Active: u.status == 0,
		})
	}
	return out
}

// APIKey returns the account's key for the asynchronous routes (x-api-key).
func (c *CRM) APIKey() string { return c.account.apiKey }
