package transport

import "syscall"

var outOfFiles = []error{syscall.Errno(10024)} // WSAEMFILE

var resetErrors = []error{syscall.WSAECONNRESET, syscall.WSAECONNABORTED, syscall.ECONNRESET, syscall.EPIPE}
