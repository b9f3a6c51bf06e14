//! Reads what a service exposes on `/metrics`: the text format of Prometheus, as far as our services write it.

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample<'a> {
    /// Its name.
    pub(super) name: &'a str,
    labels: &'a str,
    /// Its value.
    pub(super) value: f64,
}

impl<'a> Sample<'a> {
    /// The value of a label; those of ours need no escapes.
    pub(super) fn label(&self, name: &str) -> Option<&'a str> {
        self.labels.split("\",").find_map(|pair| {
            let (known, value) = pair.split_once("=\"")?;
            (known == name).then(|| value.trim_end_matches('"'))
        })
    }
}

/// All samples of a text.
pub(super) fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.trim_end_matches('}')),
            None => (series, ""),
        };
        Some(Sample { name, labels, value })
    })
}

/// A histogram: how many observations were at most so large, the bound first; several of one name are added up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Histogram(Vec<(f64, f64)>);

impl Histogram {
    /// Adds a `_bucket` sample.
    pub(super) fn add(&mut self, sample: &Sample<'_>) {
        let bound = match sample.label("le") {
            Some("+Inf") => f64::INFINITY,
            Some(bound) => bound.parse().unwrap_or(f64::INFINITY),
            None => return,
        };
        match self.0.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, count)) => *count += sample.value,
            None => self.0.push((bound, sample.value)),
        }
    }

    /// How many observations there are.
    pub(super) fn count(&self) -> f64 {
        self.0.iter().find(|(bound, _)| bound.is_infinite()).map_or(0.0, |(_, count)| *count)
    }

    /// What was observed since `before`; all of it when the service has started anew meanwhile.
    pub(super) fn since(&self, before: &Self) -> Self {
        if before.count() > self.count() {
            return self.clone();
        }
        let earlier = |bound: f64| before.0.iter().find(|(known, _)| *known == bound).map_or(0.0, |(_, count)| *count);
        Self(self.0.iter().map(|(bound, count)| (*bound, count - earlier(*bound))).collect())
    }

    /// The value below which this part of the observations lies; none where nothing was observed. Beyond the last bound
    /// nothing is known, so it is that bound.
    pub(super) fn quantile(&self, part: f64) -> Option<f64> {
        let mut buckets = self.0.clone();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let wanted = self.count() * part;
        if wanted <= 0.0 {
            return None;
        }
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in buckets {
            if count >= wanted {
                let within = if count > below { (wanted - below) / (count - below) } else { 1.0 };
                return Some(if bound.is_infinite() { low } else { low + (bound - low) * within });
            }
            (low, below) = (bound, count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP warren_x Things\n# TYPE warren_x counter\n\
        warren_x_total{queue=\"email\",event=\"a.b\",route=\"/v1/orders/{id}\"} 3\nwarren_y 0.5\n\
        warren_z_bucket{le=\"1.0\"} 5\nwarren_z_bucket{le=\"2.0\"} 9\nwarren_z_bucket{le=\"+Inf\"} 10\n# EOF\n";

    fn histogram(text: &str) -> Histogram {
        let mut histogram = Histogram::default();
        samples(text).filter(|sample| sample.name == "warren_z_bucket").for_each(|sample| histogram.add(&sample));
        histogram
    }

    #[test]
    fn samples_have_names_labels_and_values() {
        let all: Vec<_> = samples(TEXT).collect();
        assert_eq!((all[0].name, all[0].value, all[0].label("event")), ("warren_x_total", 3.0, Some("a.b")));
        assert_eq!((all[0].label("route"), all[0].label("queue")), (Some("/v1/orders/{id}"), Some("email")));
        assert_eq!((all[1].name, all[1].value, all[1].label("queue")), ("warren_y", 0.5, None));
        assert_eq!(all.len(), 5);
    }

    #[test]
    fn quantiles_lie_between_the_bounds() {
        let all = histogram(TEXT);
        assert_eq!((all.count(), all.quantile(0.25), all.quantile(0.7)), (10.0, Some(0.5), Some(1.5)));
        assert_eq!(all.quantile(0.99), Some(2.0), "beyond the last bound");
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn what_came_since_is_the_difference_unless_it_began_anew() {
        let before =
            histogram("warren_z_bucket{le=\"1.0\"} 5\nwarren_z_bucket{le=\"2.0\"} 5\nwarren_z_bucket{le=\"+Inf\"} 5\n");
        let since = histogram(TEXT).since(&before);
        assert_eq!((since.count(), since.quantile(0.4)), (5.0, Some(1.5)));
        assert_eq!(before.since(&histogram(TEXT)), before);
    }
}
