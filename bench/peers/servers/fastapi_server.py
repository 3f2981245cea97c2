"""FastAPI: plain JSON, no batching; the small model on the event loop, the large one on threads."""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from workload import MiniLM, Tabular

app = FastAPI()
tabular_model, minilm_model = Tabular(), MiniLM()


class Row(BaseModel):
    """One row."""

    input: list[float]


class Text(BaseModel):
    """One text."""

    text: str


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """Say that both models are loaded."""
    return {"ready": True}


@app.post("/tabular")
async def tabular(row: Row) -> dict[str, object]:
    """Answer one row."""
    labels, probabilities = tabular_model.run([row.input])
    return {"label": int(labels[0]), "probabilities": probabilities[0].tolist()}


@app.post("/minilm")
def minilm(text: Text) -> dict[str, list[float]]:
    """Answer one text."""
    return {"embedding": minilm_model.run([text.text])[0].tolist()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning")
