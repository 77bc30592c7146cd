using System.Buffers;
using System.Globalization;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>Writes JSON as cJSON does, which mosquitto_sub prints with: numbers, escapes, and tabs where it is pretty.</summary>
internal sealed class JsonText(IBufferWriter<byte> output, bool isPretty)
{
    private readonly Stack<bool> hasMembers = new();

    /// <summary>Opens an object.</summary>
    public void BeginObject()
    {
        Write("{");
        hasMembers.Push(false);

        if (isPretty)
            Write("\n");
    }

    /// <summary>Begins a member of the open object; its value follows.</summary>
    public void Name(string name)
    {
        if (hasMembers.Pop())
            Write(isPretty ? ",\n" : ",");

        hasMembers.Push(true);
        Indent(hasMembers.Count);
        String(name);
        Write(isPretty ? ":\t" : ":");
    }

    /// <summary>Closes the open object.</summary>
    public void EndObject()
    {
        var hadMembers = hasMembers.Pop();

        if (isPretty && hadMembers)
            Write("\n");

        Indent(hasMembers.Count);
        Write("}");
    }

    /// <summary>Opens an array.</summary>
    public void BeginArray()
    {
        Write("[");
        hasMembers.Push(false);
    }

    /// <summary>Begins an item of the open array; its value follows.</summary>
    public void Item()
    {
        if (hasMembers.Pop())
            Write(isPretty ? ", " : ",");

        hasMembers.Push(true);
    }

    /// <summary>Closes the open array.</summary>
    public void EndArray()
    {
        hasMembers.Pop();
        Write("]");
    }

    /// <summary>Writes a number with 15 digits, or 17 where 15 are not enough; one without bounds is null.</summary>
    public void Number(double value)
    {
        if (!double.IsFinite(value))
        {
            Write("null");
            return;
        }

        var text = value.ToString("G15", CultureInfo.InvariantCulture);

        if (double.Parse(text, CultureInfo.InvariantCulture) != value)
            text = value.ToString("G17", CultureInfo.InvariantCulture);

        Write(text.ToLowerInvariant());
    }

    /// <summary>Writes a string.</summary>
    public void String(string value)
    {
        var text = new StringBuilder(value.Length + 2).Append('"');

        foreach (var character in value)
        {
            _ = character switch
            {
                '"' or '\\' => text.Append('\\').Append(character),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                < ' ' => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)character:x4}"),
                _ => text.Append(character),
            };
        }

        Write(text.Append('"').ToString());
    }

    /// <summary>Writes true, false or null.</summary>
    public void Literal(string text) => Write(text);

    private void Indent(int depth)
    {
        if (isPretty)
            Write(new string('\t', depth));
    }

    private void Write(string text) => Encoding.UTF8.GetBytes(text, output);
}
