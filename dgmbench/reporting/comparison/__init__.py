"""The comparison tables: cells, intervals, pairs of models, footnotes, published figures."""
