package seed

import "time"

// Settings returns bucket size, concurrency and the life of values of others.
func Settings(s *Service) (bucketSize, concurrency int, storageTimeout time.Duration) {
	return s.config.Params.K, s.config.Params.Alpha, s.config.Limits.MaxLife
}
