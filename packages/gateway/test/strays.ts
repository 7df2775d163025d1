import { AsyncLocalStorage } from 'node:async_hooks'
import type { Attributable, Attribution } from 'atoll/runtime'

/** What stands in for a process that watches over rejections: `stray` is one of the code that runs now. */
export function watchStrays(): { readonly attribution: Attribution; stray(text: string): void } {
  const running = new AsyncLocalStorage<Attributable>()
  return {
    attribution: { during: (code, work) => running.run(code, work), apart: (work) => running.exit(work) },
    stray: (text) => running.getStore()!.takeStray(new Error(text)),
  }
}
