package transport

import "syscall"

var outOfFiles = []error{syscall.Errno(10024)} // WSAEMFILE

var resetErrors = []error{syscall.WSAECONNRESET, syscall.WSAECONNABORTED, syscall.ECONNRESET, syscall.EPIPE}

// noNetwork and noHost are the errors of a machine without a way to an address: WSAENETDOWN and WSAENETUNREACH,
// WSAEHOSTDOWN and WSAEHOSTUNREACH.
var (
	noNetwork = []error{syscall.Errno(10050), syscall.Errno(10051), syscall.ENETUNREACH}
	noHost    = []error{syscall.Errno(10064), syscall.Errno(10065), syscall.EHOSTUNREACH}
)
