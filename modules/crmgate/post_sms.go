// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import "github.com/crmgate/crmgate/modules/internal/factor"

// smsCode sends codes as text messages; nil when none are sent.
func (a *App) smsCode() factor.Sender { return nil }
