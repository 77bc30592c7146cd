using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// Standard error for diagnostics: the text may come from a server, so control and format characters are escaped as their
/// code points. Write failures, such as a full disk, do not end the command.
/// </summary>
/// <param name="target">The underlying writer.</param>
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
            // A failure of standard error cannot be reported; the exit code remains.
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
