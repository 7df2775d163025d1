import { sqlStore } from '@atoll/store'
import type { UserReplica } from '../identity/replica.ts'

/**
 * The tables that pages are made of. Names are joined in, never copied, so that a renamed author has the new name
 * everywhere.
 */
export interface PageTables extends UserReplica {
  follows: { follower_id: string; followee_id: string }
  articles: {
    article_id: string
    slug: string
    author_id: string
    title: string
    description: string
    body: string
    tag_list: string
    created_at: string
    updated_at: string
    favorites_count: number
  }
  /** One row per tag of an article, in the order in which lists show them. */
  article_tags: { tag: string; created_at: string; article_id: string }
  favorites: { user_id: string; article_id: string }
  comments: { comment_id: number; article_id: string; author_id: string; body: string; created_at: string }
  /** Articles that are gone. Favorites and comments come from other services and may arrive later than the deletion. */
  gone: { article_id: string }
  /**
   * How many articles there are: under '' in all, and under each tag. Counting 100,000 rows for each page would not do.
   */
  counts: { tag: string; count: number }
}

export const pageStore = sqlStore<PageTables>({
  migrations: {
    '0001-pages': `
      CREATE TABLE users (user_id TEXT PRIMARY KEY, username TEXT NOT NULL, bio TEXT, image TEXT) STRICT;
      CREATE INDEX users_username ON users (username);

      CREATE TABLE follows (follower_id TEXT NOT NULL, followee_id TEXT NOT NULL, PRIMARY KEY (follower_id, followee_id)) STRICT, WITHOUT ROWID;

      CREATE TABLE articles (
        article_id TEXT PRIMARY KEY,
        slug TEXT NOT NULL,
        author_id TEXT NOT NULL,
        title TEXT NOT NULL,
        description TEXT NOT NULL,
        body TEXT NOT NULL,
        tag_list TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        favorites_count INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX articles_slug ON articles (slug);
      CREATE INDEX articles_recent ON articles (created_at, article_id);
      CREATE INDEX articles_author ON articles (author_id, created_at, article_id);

      CREATE TABLE article_tags (tag TEXT NOT NULL, created_at TEXT NOT NULL, article_id TEXT NOT NULL, PRIMARY KEY (tag, created_at, article_id)) STRICT, WITHOUT ROWID;
      CREATE INDEX article_tags_article ON article_tags (article_id);

      CREATE TABLE favorites (user_id TEXT NOT NULL, article_id TEXT NOT NULL, PRIMARY KEY (user_id, article_id)) STRICT, WITHOUT ROWID;
      CREATE INDEX favorites_article ON favorites (article_id);

      CREATE TABLE comments (comment_id INTEGER PRIMARY KEY, article_id TEXT NOT NULL, author_id TEXT NOT NULL, body TEXT NOT NULL, created_at TEXT NOT NULL) STRICT;
      CREATE INDEX comments_article ON comments (article_id, comment_id);

      CREATE TABLE gone (article_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
      CREATE TABLE counts (tag TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    `,
  },
})
