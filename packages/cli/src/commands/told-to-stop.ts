/** Resolves at the first Ctrl-C or SIGTERM; at the second the process ends at once, with exit code 130. */
export function toldToStop(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false
    const stop = (): void => {
      if (asked) process.exit(130)
      asked = true
      resolve()
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
  })
}
