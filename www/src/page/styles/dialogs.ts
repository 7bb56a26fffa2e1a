import { css } from "lit";

export const dialogs = css`
  dialog {
    width: min(44rem, calc(100vw - 2rem));
    max-height: calc(100dvh - 2rem);
    padding: 0;
    border: 1px solid var(--line);
    border-radius: 14px;
    background: var(--surface);
    color: var(--text);
    box-shadow: var(--shadow);
  }
  dialog::backdrop {
    background: rgb(0 0 0 / 60%);
  }
  .sheet {
    display: grid;
    gap: 1rem;
    padding: 1.25rem 1.5rem 1.5rem;
  }
  .sheet .top {
    display: flex;
    align-items: center;
    justify-content: space-between;
  }
  .wide {
    overflow-x: auto;
  }
  @media (max-width: 759px) {
    .sheet {
      padding: 1rem;
    }
  }
`;
