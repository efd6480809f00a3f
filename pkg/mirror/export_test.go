package mirror

// WithoutPipeline moves every file alone.
func (t *Transfer) WithoutPipeline() { t.noPipe.Store(true) }

// SetVerify changes what must prove a file whole.
func (t *Transfer) SetVerify(v Verify) { t.cfg.Verify = v }

// SetRetries changes how often a file that broke off is taken up again.
func (t *Transfer) SetRetries(n int) { t.cfg.Retries = n }

// WithoutOverlap takes every part for the beginning of the file it is
// resumed from.
func (t *Transfer) WithoutOverlap() {
	t.same = func(_, _ []byte) bool { return true }
}
