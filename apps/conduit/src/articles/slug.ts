/**
 * `How to Train Your Dragon!` → `how-to-train-your-dragon`. Letters of every alphabet stay; accents go. Empty if
 * nothing is left.
 */
export function toSlug(title: string): string {
  return title
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-|-$/g, '')
    .slice(0, SLUG_CHARS_MAX)
    .replace(/[\ud800-\udbff]$/, '') // half a letter fits in no URL
}

const SLUG_CHARS_MAX = 100
