package sim

// Shrink returns a run that breaks the same promise as r does and takes as few choices as can be found by trying.
func Shrink(r Result, o Options) Result {
	o.Trace = false
	best := r
	try := func(record []uint16) bool {
		tried := run(played(record), o)
		if tried.Broken == nil || tried.Broken.Promise != best.Broken.Promise {
			return false
		}
		tried.record = record
		best = tried
		return true
	}
	for size := len(best.record); size > 0; size /= 2 {
		for at := 0; at < len(best.record); {
			end := min(at+size, len(best.record))
			without := append(best.record[:at:at], best.record[end:]...)
			if !try(without) {
				at = end
			}
		}
	}
	for at := range best.record {
		if at < len(best.record) && best.record[at] != 0 {
			zeroed := append([]uint16(nil), best.record...)
			zeroed[at] = 0
			try(zeroed)
		}
	}
	o.Trace = true
	return run(played(best.record), o)
}
