/** The pictures of this session, newest last, and the one that is being looked at. */

import type { GeneratedImage } from "../engine/contract.ts";
import { infotext } from "../picture/infotext.ts";
import { encodePng } from "../picture/png.ts";
import type { Picture, PictureRecord } from "./picture.ts";
import { Store } from "./store.ts";

export class GalleryStore extends Store {
  #pictures: readonly Picture[] = [];
  #shown: Picture | undefined;
  #frames = 0;

  get pictures(): readonly Picture[] {
    return this.#pictures;
  }

  get shown(): Picture | undefined {
    return this.#shown;
  }

  async add(image: GeneratedImage, record: PictureRecord): Promise<Picture> {
    const bytes = await encodePng(image, [{ keyword: "parameters", text: infotext(record) }]);
    const file = new Blob([bytes], { type: "image/png" });
    this.#frames += 1;
    const { width, height } = image;
    const picture = { ...record, width, height, file, frame: this.#frames, address: URL.createObjectURL(file) };
    this.#pictures = [...this.#pictures, picture];
    this.#shown = picture;
    this.changed();
    return picture;
  }

  show(picture: Picture | undefined): void {
    this.#shown = picture;
    this.changed();
  }

  remove(picture: Picture): void {
    const index = this.#pictures.indexOf(picture);
    if (index < 0) return;
    this.#pictures = this.#pictures.filter((other) => other !== picture);
    if (this.#shown === picture) this.#shown = this.#pictures[Math.min(index, this.#pictures.length - 1)];
    URL.revokeObjectURL(picture.address);
    this.changed();
  }
}
