package inspect

import (
	"bufio"
	"errors"
	"io"
)

// errLongLine reports a line above the limit. The line has been read to its end, so that
// the next one can follow. errLong reports a whole body above the limit.
var (
	errLongLine = errors.New("inspect: line too long")
	errLong     = errors.New("inspect: too long")
)

// lineReader cuts a body into lines of at most max bytes. It never holds more
// than one line.
type lineReader struct {
	r   *bufio.Reader
	max int
}

func newLineReader(r io.Reader, limit int) *lineReader {
	return &lineReader{bufio.NewReaderSize(r, 64<<10), limit}
}

// next returns a copy of the next line, without its line feed. The last line needs no
// line feed. The error is io.EOF after the last line.
func (l *lineReader) next() ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := l.r.ReadSlice('\n')
		ended := err == nil
		if ended {
			part = part[:len(part)-1]
		}
		if long = long || len(line)+len(part) > l.max; long {
			line = nil
		} else {
			line = append(line, part...)
		}
		switch {
		case ended && long:
			return nil, errLongLine
		case ended:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && long:
			return nil, errLongLine
		case err == io.EOF && len(line) > 0:
			return line, nil
		default:
			return nil, err
		}
	}
}

// whole reads all of r as one message.
func (l *lineReader) whole() ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(l.r, int64(l.max)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > l.max {
		return nil, errLong
	}
	return b, nil
}
