// Crawls the benchmark's site with Crawlee's CheerioCrawler: `node site.js URL FILE`.
import { createWriteStream } from 'node:fs';

import { CheerioCrawler, Configuration, LogLevel, log } from '@crawlee/cheerio';

log.setLevel(LogLevel.WARNING);
const [url, file] = process.argv.slice(2);
const lines = createWriteStream(file);
const crawler = new CheerioCrawler(
    {
        minConcurrency: 64,
        maxConcurrency: 64,
        // Its state has no use here: the queue stays in memory.
        useSessionPool: false,
        async requestHandler({ request, $, enqueueLinks }) {
            const line = { url: request.loadedUrl, title: $('title').text(), links: $('a[href]').length };
            lines.write(`${JSON.stringify(line)}\n`);
            await enqueueLinks();
        },
    },
    new Configuration({ persistStorage: false }),
);
await crawler.run([url]);
lines.end();
