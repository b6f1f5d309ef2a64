package metrics

import (
	dto "github.com/prometheus/client_model/go"

	"github.com/plait-mcp/plait/upstream"
)

// family is the series of one name.
type family struct{ dto.MetricFamily }

func newFamily(kind dto.MetricType, name, help string) *family {
	return &family{dto.MetricFamily{Name: &name, Help: &help, Type: &kind}}
}

func gauge(name, help string) *family     { return newFamily(dto.MetricType_GAUGE, name, help) }
func counter(name, help string) *family   { return newFamily(dto.MetricType_COUNTER, name, help) }
func histogram(name, help string) *family { return newFamily(dto.MetricType_HISTOGRAM, name, help) }

// add adds a series of a gauge or counter, with pairs of the name and the value of a label.
func (f *family) add(value float64, labels ...string) {
	m := f.series(labels)
	if f.GetType() == dto.MetricType_COUNTER {
		m.Counter = &dto.Counter{Value: &value}
		return
	}
	m.Gauge = &dto.Gauge{Value: &value}
}

// observe adds the series of how long the calls of a server took.
func (f *family) observe(s upstream.Stats) {
	h := &dto.Histogram{}
	var count uint64
	for i, n := range s.Took {
		count += n
		if i < len(upstream.Buckets) {
			bound, below := upstream.Buckets[i].Seconds(), count
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &below})
		}
	}
	sum := s.TookAll.Seconds()
	h.SampleCount, h.SampleSum = &count, &sum
	f.series([]string{"server", s.Server}).Histogram = h
}

func (f *family) series(labels []string) *dto.Metric {
	m := &dto.Metric{}
	for i := 0; i+1 < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
	}
	f.Metric = append(f.Metric, m)
	return m
}
