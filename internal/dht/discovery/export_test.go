package discovery

// Sources returns how many sources of Joins are remembered.
func (l *Limiter) Sources() int { return l.joins.source.Len() }
