//! Crawler, the part of the builder about files. Knows no network and no folder.

use super::Crawler;
#[cfg(feature = "derive")]
use crate::{extract::Extract, files::each_file};
use crate::{
    files::{FileField, Files},
    spider::Spider,
};

impl<S: Spider> Crawler<S> {
    /// Downloads the files that items have ([`Crawler::files_of_items`], [`Crawler::files_of`]) and pages ask for
    /// ([`Parsed::download`](crate::Parsed::download)) to a folder, or as [`Files`] says.
    ///
    /// Each file is a request as a page is: under a permit of its domain, after its robots file, with retries,
    /// redirects and a line in the ledger; but whatever the [`Scope`](crate::Scope) says of its host, and beside all
    /// bounds on pages. Files go before the pages of their domain. A body goes to the disk as it comes, so files may be
    /// larger than memory.
    ///
    /// A file is written aside and renamed when it is whole, so what has a name in the folder is complete. It is on the
    /// disk (`fsync`) before its item goes to the pipelines. A file that is there is not requested again for
    /// [`Files::expires`]. If the disk takes no more, the crawl ends as failed, and with a state its pages stay queued.
    ///
    /// The items of an [`ItemSpider`](crate::ItemSpider) need no list: their fields of the type
    /// [`File`](crate::files::File) are those with files, unless [`Crawler::files_of`] names others.
    ///
    /// ```
    /// use actix_crawler::{files::Files, prelude::*};
    /// # fn with(crawler: Crawler<fn(&Response) -> Result<Parsed<String>>>) {
    ///
    /// let images = Files { types: vec!["image/*".into()], name: "{host}/{name}{ext}".into(), ..Files::to("images") };
    /// let crawler = crawler.files(images);
    /// # }
    /// ```
    #[doc(alias("files_store", "images_store"))]
    #[must_use]
    pub fn files(mut self, files: impl Into<Files>) -> Self {
        self.settings.files = files.into();
        self
    }

    /// Downloads the files of all fields of the items that are a [`File`](crate::files::File), or an `Option` or a
    /// `Vec` of them, also within structs of the items: for items that derive [`Extract`](crate::extract::Extract).
    ///
    /// ```
    /// use actix_crawler::{files::File, prelude::*};
    ///
    /// #[derive(Extract, serde::Serialize)]
    /// struct Product {
    ///     #[extract(css = "h1")]
    ///     name: String,
    ///     #[extract(css = ".gallery img", url)]
    ///     images: Vec<File>,
    /// }
    ///
    /// fn products(page: &Response) -> Result<Parsed<Product>> {
    ///     Ok(Parsed::of(Product::all(page, ".product")?).follow(page.links()))
    /// }
    ///
    /// let crawler = Crawler::new(products, "shopbot/1.0 (+https://example.org/bot)")
    ///     .seed("https://shop.example/")
    ///     .files("images")
    ///     .files_of_items();
    /// ```
    #[cfg(feature = "derive")]
    #[must_use]
    pub fn files_of_items(mut self) -> Self
    where
        S::Item: Extract,
    {
        self.file_fields.add_by_type(each_file::<S::Item>);
        self
    }

    /// Names a field of the items that has files: [`File`](crate::files::File)s, or what [`FileField`] is implemented
    /// for. Given again, it adds another field.
    ///
    /// An item goes to the pipelines when all its files have ended. Each then says what became of it, also that it
    /// failed, and why; a page with a file that failed is fine. A page is done when its items are, so with a state a
    /// killed crawl asks for both again, and finds the files that were there.
    ///
    /// ```
    /// use actix_crawler::{files::File, prelude::*};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Product {
    ///     name: String,
    ///     images: Vec<File>,
    /// }
    ///
    /// fn products(page: &Response) -> Result<Parsed<Product>> {
    ///     let images = page.urls_of(".gallery img")?.into_iter().map(File::at).collect();
    ///     Ok(Parsed::of([Product { name: page.text_of("h1")?, images }]))
    /// }
    ///
    /// let crawler = Crawler::new(products, "shopbot/1.0 (+https://example.org/bot)")
    ///     .seed("https://shop.example/tea")
    ///     .files("images")
    ///     .files_of(|product: &mut Product| &mut product.images)
    ///     .each(|product| {
    ///         for image in product.images.iter().filter(|image| !image.status.is_there()) {
    ///             println!("{} lacks {}: {:?}", product.name, image.url, image.error);
    ///         }
    ///     });
    /// ```
    #[must_use]
    pub fn files_of<F: FileField>(
        mut self,
        field: impl for<'a> Fn(&'a mut S::Item) -> &'a mut F + Send + Sync + 'static,
    ) -> Self {
        self.file_fields.add(field);
        self
    }
}
