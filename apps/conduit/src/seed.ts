import type { SeedContext } from 'atoll'
import { articles } from './articles/contract.ts'
import { toSlug } from './articles/slug.ts'
import { comments } from './comments/contract.ts'
import { favorites } from './favorites/contract.ts'
import { identity } from './identity/contract.ts'
import { hashPassword } from './identity/passwords.ts'
import { profiles } from './profiles/contract.ts'

// Demo data, the same every time. Everybody's password is `conduit`.

const people = [
  'ada',
  'basil',
  'cora',
  'dmitri',
  'edith',
  'farid',
  'greta',
  'hugo',
  'ines',
  'jonas',
  'kiri',
  'lars',
  'mona',
  'nils',
  'olga',
  'pavel',
  'quinn',
  'rosa',
  'sami',
  'tess',
]
const subjects = [
  'Tide pools',
  'Sourdough',
  'Night trains',
  'Bird calls',
  'Old maps',
  'Bicycle repair',
  'Winter gardens',
  'Letter press',
  'Harbour lights',
  'Chess endings',
]
const angles = [
  'for beginners',
  'by the numbers',
  'at dawn',
  'without tools',
  'in one weekend',
  'and patience',
  'on a small budget',
  'with children',
  'from memory',
  'the hard way',
]
const tags = ['nature', 'food', 'travel', 'craft', 'history', 'music', 'home', 'science']

export async function seed({ call, settled }: SeedContext): Promise<void> {
  const passwordHash = await hashPassword('conduit')
  const users = await Promise.all(
    people.map(async (username) => {
      const { userId } = await call(identity.enrol, {
        username,
        email: `${username}@example.com`,
        passwordHash,
        bio: `${username} writes here about what keeps the hands busy.`,
        image: null,
      })
      return userId
    }),
  )
  await settled()

  const slugs: string[] = []
  for (let round = 0; round < ARTICLES / subjects.length; round++) {
    await Promise.all(
      subjects.map(async (subject, index) => {
        const number = round * subjects.length + index
        const { slug } = await call(
          articles.publish,
          { article: articleOf(number, subject, angles[(round + index) % angles.length]!) },
          { as: pick(users, number * 7 + round) },
        )
        slugs[number] = slug
      }),
    )
  }
  await settled()

  const reactions: Promise<unknown>[] = []
  for (const [number, slug] of slugs.entries()) {
    for (let nth = 0; nth < number % 4; nth++) {
      reactions.push(
        call(comments.post, { slug, comment: { body: remark(number + nth) } }, { as: pick(users, number + nth * 3) }),
      )
    }
    for (let nth = 0; nth < number % 6; nth++)
      reactions.push(call(favorites.favorite, { slug }, { as: pick(users, number * 3 + nth) }))
  }
  for (const [index, userId] of users.entries()) {
    for (let nth = 1; nth <= 4; nth++)
      reactions.push(call(profiles.follow, { username: pick(people, index + nth * nth) }, { as: userId }))
  }
  await Promise.all(reactions)
}

function articleOf(number: number, subject: string, angle: string) {
  const title = `${subject} ${angle}${number < subjects.length * angles.length ? '' : ', again'}`
  const paragraph = `I came to ${subject.toLowerCase()} late, and ${angle} was the only way I had. What follows is what I wish somebody had told me on the first day.`
  return {
    title,
    description: `Notes on ${subject.toLowerCase()}, ${angle}.`,
    body: [
      `# ${title}`,
      paragraph,
      `Start small. Write down what you did; you will not remember. ${toSlug(subject)} rewards the second look more than the first.`,
    ].join('\n\n'),
    tagList: [pick(tags, number), pick(tags, number * 3 + 1)],
  }
}

function remark(number: number): string {
  return pick(
    [
      'This is what I needed today.',
      'I tried it, and it works.',
      'Could you say more about the first step?',
      'My grandmother did it just like this.',
      'I disagree, kindly.',
    ],
    number,
  )
}

function pick<T>(list: readonly T[], number: number): T {
  return list[number % list.length]!
}

const ARTICLES = 200
