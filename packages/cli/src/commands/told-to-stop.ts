/**
 * Resolves at the first Ctrl-C or SIGTERM; at the second the process ends at once, with exit code 130. Under npm one
 * Ctrl-C comes twice: from the terminal, and from npm, which hands it on. A process that `atoll up` has started is
 * told, too, when that has gone, in whatever way.
 */
export function toldToStop(): Promise<void> {
  return new Promise((resolve) => {
    let askedMs: number | undefined
    const stop = (): void => {
      if (askedMs !== undefined && performance.now() - askedMs > SAME_MS) process.exit(130)
      askedMs ??= performance.now()
      resolve()
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
    process.once('disconnect', resolve)
    if (process.connected === false) resolve() // it had gone before anybody listened
    process.channel?.unref() // who listens for its end would else never end
  })
}

/** Nobody means two by what comes within this time. */
const SAME_MS = 300
