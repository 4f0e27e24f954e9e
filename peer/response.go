package peer

import "fmt"

// The statuses of a response. After statusBusy the request was not handled.
const (
	statusOK    byte = iota
	statusError      // of the handler
	statusBusy       // a limit was reached
)

const errorTextMax = 4 << 10 // bytes of an error's text

// readResponse takes a response apart. It has at least one byte.
func readResponse(payload []byte) answer {
	status, body := payload[0], payload[statusBytes:]
	switch status {
	case statusOK:
		return answer{body: body}
	case statusError:
		return answer{err: RemoteError{Text: string(body)}}
	case statusBusy:
		return answer{err: ErrBusy}
	default:
		return answer{err: fmt.Errorf("peer: a response of unknown status %d", status)}
	}
}

// toResponse is what the other side gets for a handler's outcome.
func toResponse(response []byte, err error, frameBytesMax int) (status byte, body []byte) {
	if err == nil && len(response) > frameBytesMax-overheadBytes-statusBytes {
		err = fmt.Errorf("peer: a response of %d bytes does not fit a frame", len(response))
	}
	if err == nil {
		return statusOK, response
	}
	text := err.Error()
	limit := min(errorTextMax, frameBytesMax-overheadBytes-statusBytes)
	return statusError, []byte(text[:min(len(text), limit)])
}
