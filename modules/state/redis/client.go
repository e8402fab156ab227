// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// slotsEvery is how old the client's map of a Cluster may be. A master that died
// tells nobody who took over, so only a new map leads away from it.
const slotsEvery = time.Second

// connect makes the client the options ask for.
func connect(o *goredis.UniversalOptions) goredis.UniversalClient {
	if o.MasterName != "" || len(o.Addrs) == 1 && !o.IsClusterMode {
		return goredis.NewUniversalClient(o)
	}
	c := o.Cluster()
	c.ClusterStateReloadInterval = slotsEvery
	// Each attempt of a Cluster's client would be all attempts of a node's.
	c.MaxRedirects, c.MaxRetries = 2, -1
	return goredis.NewClusterClient(c)
}

// Client returns the client, for those who count in the same Redis under keys of
// their own. It is the store's: do not close it.
func (s *Store) Client() goredis.UniversalClient { return s.client }
