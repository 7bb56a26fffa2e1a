/** Who made the artwork that the built-in model was trained on: the table of `models/emoji/MODEL_CARD.md`. */

export interface Artwork {
  name: string;
  licence: string;
  author: string;
  link: string;
}

const byLicence = "CC BY 4.0";

export const artworks: readonly Artwork[] = [
  { name: "Noto Emoji", licence: "Apache 2.0", author: "© Google Inc.", link: "https://github.com/googlefonts/noto-emoji" },
  { name: "Fluent Emoji", licence: "MIT", author: "© Microsoft Corporation", link: "https://github.com/microsoft/fluentui-emoji" },
  { name: "FxEmojis", licence: "Apache 2.0", author: "© Mozilla Foundation", link: "https://github.com/mozilla/fxemoji" },
  { name: "Flat Color Icons", licence: "MIT", author: "Icons8", link: "https://github.com/icons8/flat-Color-icons" },
  { name: "Twemoji", licence: byLicence, author: "© Twitter, Inc and other contributors", link: "https://github.com/jdecked/twemoji" },
  { name: "EmojiOne 2 / Emojitwo", licence: byLicence, author: "EmojiOne and EmojiTwo", link: "https://github.com/EmojiTwo/emojitwo" },
  { name: "Streamline Kameleon, Plump, Stickies", licence: byLicence, author: "Streamline, streamlinehq.com", link: "https://github.com/webalys-hq/streamline-vectors" },
];

export const licenceLinks: Readonly<Record<string, string>> = { [byLicence]: "https://creativecommons.org/licenses/by/4.0/" };
