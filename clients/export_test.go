package clients

import "time"

// SetRetry makes the first delay before a stream is connected again short.
func SetRetry(c *Client, d time.Duration) { c.retry = d }
