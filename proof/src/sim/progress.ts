/** Says how far something is, its rate, and the time left: in place on a terminal, else every few seconds. */
export interface Progress {
  step(what: string): void
  end(): void
}

export function createProgress(name: string, total: number): Progress {
  const startedMs = performance.now()
  const isTerminal = process.stderr.isTTY
  let done = 0
  let saidMs = startedMs
  return {
    step(what) {
      done++
      const nowMs = performance.now()
      if (nowMs - saidMs < (isTerminal ? 100 : 10_000)) return
      saidMs = nowMs
      const rate = (done / (nowMs - startedMs)) * 1_000
      const line = `${name}: ${done} of ${total} (${what}), ${rate.toFixed(1)} a second, ${Math.ceil((total - done) / rate)} s left`
      process.stderr.write(isTerminal ? `\r\u001b[2K${line}` : `${line}\n`)
    },
    end() {
      if (isTerminal) process.stderr.write('\r\u001b[2K')
    },
  }
}
