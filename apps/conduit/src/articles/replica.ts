import type { Migrations } from '@atoll/store'

/** What comments and favorites need to know of articles, each in a table of its own: that they are there, and their ids. */
export interface ArticleReplica {
  articles: { article_id: string; slug: string }
}

export const replicaOfArticles: Migrations = {
  '0000-articles': `
    CREATE TABLE articles (article_id TEXT PRIMARY KEY, slug TEXT NOT NULL) STRICT;
    CREATE UNIQUE INDEX articles_slug ON articles (slug);
  `,
}
