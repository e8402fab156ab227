// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package testpeer starts the real servers that tests talk to. Only tests import
// it. A server that is not installed fails the test and says how to install it:
// what was not proven does not count as proven.
package testpeer
