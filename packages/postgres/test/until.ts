/** Resolves once `reached` does; looks again and again, for twenty seconds at the most. */
export async function until(what: string, reached: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000
  while (!(await reached())) {
    if (performance.now() > end) throw new Error(`waited twenty seconds for this in vain: ${what}`)
    await new Promise((resolve) => void setTimeout(resolve, 5))
  }
}
