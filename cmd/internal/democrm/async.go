// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// asyncResult is what became of an asynchronous request.
type asyncResult struct {
	RequestID string
	Status    string // Success or Error
	Message   string
	Id        string
}

type asyncAccepted struct {
	Status    string
	RequestID string
}

// async runs a write at once but answers the way the asynchronous host does:
// with a request id, under which the outcome can be asked for.
func async(write endpoint) endpoint {
	return func(c *CRM, q *call) (any, error) {
		if !jsontext.Value(q.body).IsValid(jsontext.AllowDuplicateNames(true)) {
			return nil, badRequest("the request body is not JSON")
		}
		result := asyncResult{RequestID: c.newID(), Status: "Success"}
		answer, err := write(c, q)
		if id, ok := answer.(successID); ok {
			result.Id = id.Message.Id
		}
		if err != nil {
			result.Status, result.Message = "Error", "An unexpected error occurred"
			if e := (*apiError)(nil); errors.As(err, &e) {
				result.Message = e.message
			}
		}
		c.asyncDone[result.RequestID] = result
		return asyncAccepted{
			"Request accepted. Please use below request id to check the status", result.RequestID,
		}, nil
	}
}

func asyncStatus(c *CRM, q *call) (any, error) {
	result, ok := c.asyncDone[q.query("requestId")]
	if !ok {
		return nil, fail("InvalidInput", "Request not found")
	}
	return result, nil
}
