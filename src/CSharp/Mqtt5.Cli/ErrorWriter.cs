using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// Standard error for people: what is written to it may hold a text of a server, so control and format characters are shown
/// as their numbers. Where it cannot be written to, as on a full disk, the command goes on all the same.
/// </summary>
/// <param name="target">Where the text goes.</param>
internal sealed class ErrorWriter(TextWriter target) : TextWriter
{
    /// <inheritdoc/>
    public override Encoding Encoding => target.Encoding;

    /// <inheritdoc/>
    public override void Write(char value) => Write(value.ToString());

    /// <inheritdoc/>
    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    /// <inheritdoc/>
    public override void Write(string? value)
    {
        if (value is null)
            return;

        try
        {
            target.Write(PeerText.Escape(value, keepsLines: true));
        }
        catch (IOException)
        {
            // There is nowhere to tell it; the exit code still does.
        }
    }

    /// <inheritdoc/>
    public override void WriteLine(string? value) => Write(value + NewLine);

    /// <inheritdoc/>
    public override Task WriteAsync(string? value)
    {
        Write(value);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override Task WriteLineAsync(string? value)
    {
        WriteLine(value);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override Task WriteLineAsync()
    {
        Write(NewLine);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override void Flush()
    {
        try
        {
            target.Flush();
        }
        catch (IOException)
        {
            // As above.
        }
    }
}
