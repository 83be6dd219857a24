// How long a piece of work takes.

/// Nanoseconds that `run` takes for one of the samples: the fastest of some batches of some milliseconds each, after one
/// that warms up.
export function nanoseconds(samples, { batches, millis }, run) {
  const batch = () => {
    const start = process.hrtime.bigint()
    let count = 0
    let took = 0
    do {
      for (const sample of samples) run(sample)
      count += samples.length
      took = Number(process.hrtime.bigint() - start)
    } while (took < millis * 1e6)
    return took / count
  }
  batch()
  return Math.min(...Array.from({ length: batches }, batch))
}
