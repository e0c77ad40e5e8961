package suite

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed report.html.tmpl
var page string

// pageTemplate draws what the charts have laid out.
var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"legendX":    func(i int) int { return 8 + 70*i },
	"legendText": func(i int) int { return 18 + 70*i },
	"radius":     func(kind int) float64 { return []float64{5, 4, 3.5, 2.5}[min(kind, 3)] },
}).Parse(page))

// HTML writes the report as one page that needs nothing else.
func (r *Report) HTML(out io.Writer) error {
	return pageTemplate.Execute(out, map[string]any{
		"Store": r.Store.title(), "Head": r.head(), "Warnings": r.Warnings, "Charts": r.charts(), "Plots": r.plots(), "Tables": r.tables(),
	})
}
