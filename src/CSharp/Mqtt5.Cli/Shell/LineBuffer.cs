using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>A line that is typed, and the cursor in it. The cursor stands between characters as people see them.</summary>
internal sealed class LineBuffer
{
    /// <summary>The line.</summary>
    public string Text { get; private set; } = "";

    /// <summary>How many code units are before the cursor.</summary>
    public int Cursor { get; private set; }

    /// <summary>What is before the cursor.</summary>
    public string BeforeCursor => Text[..Cursor];

    /// <summary>Replaces the line; the cursor is at its end.</summary>
    public void Set(string text)
    {
        Text = text;
        Cursor = text.Length;
    }

    /// <summary>Puts a text before the cursor.</summary>
    public void Insert(string text)
    {
        Text = Text.Insert(Cursor, text);
        Cursor += text.Length;
    }

    /// <summary>Moves the cursor a character to the left.</summary>
    public void Left() => Cursor = CharacterBefore();

    /// <summary>Moves the cursor a character to the right.</summary>
    public void Right() => Cursor = CharacterAfter();

    /// <summary>Moves the cursor to the begin of a word.</summary>
    public void WordLeft() => Cursor = WordBefore();

    /// <summary>Moves the cursor to the end of a word.</summary>
    public void WordRight()
    {
        while (Cursor < Text.Length && Text[Cursor] == ' ')
            Cursor++;

        while (Cursor < Text.Length && Text[Cursor] != ' ')
            Cursor++;
    }

    /// <summary>Moves the cursor to the begin of the line.</summary>
    public void Home() => Cursor = 0;

    /// <summary>Moves the cursor to the end of the line.</summary>
    public void End() => Cursor = Text.Length;

    /// <summary>Deletes the character before the cursor.</summary>
    public void DeleteLeft() => DeleteFrom(CharacterBefore());

    /// <summary>Deletes the character behind the cursor.</summary>
    public void DeleteRight() => Text = Text.Remove(Cursor, CharacterAfter() - Cursor);

    /// <summary>Deletes to the begin of the word.</summary>
    public void DeleteWordLeft() => DeleteFrom(WordBefore());

    /// <summary>Deletes all before the cursor.</summary>
    public void DeleteToBegin() => DeleteFrom(0);

    /// <summary>Deletes all behind the cursor.</summary>
    public void DeleteToEnd() => Text = BeforeCursor;

    private void DeleteFrom(int begin)
    {
        Text = Text.Remove(begin, Cursor - begin);
        Cursor = begin;
    }

    private int CharacterBefore()
    {
        var begins = StringInfo.ParseCombiningCharacters(Text);
        return begins.LastOrDefault(begin => begin < Cursor);
    }

    private int CharacterAfter() => Cursor + StringInfo.GetNextTextElementLength(Text, Cursor);

    private int WordBefore()
    {
        var begin = Cursor;

        while (begin > 0 && Text[begin - 1] == ' ')
            begin--;

        while (begin > 0 && Text[begin - 1] != ' ')
            begin--;

        return begin;
    }
}
