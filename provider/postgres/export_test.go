package postgres

// WithoutPlain has everything sent by the general functions, also a single item.
func WithoutPlain(p *Provider) { p.withoutPlain = true }
