// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import goredis "github.com/redis/go-redis/v9"

// Client returns the client, for those who count in the same Redis under keys of
// their own. It is the store's: do not close it.
func (s *Store) Client() goredis.UniversalClient { return s.client }
