using System.Text;

namespace Mqtt5.Cli;

/// <summary>Standard error of the shell: its lines stand above the line that is typed. For use by several threads.</summary>
internal sealed class ShellErrorWriter(ShellScreen screen) : TextWriter
{
    private readonly StringBuilder waiting = new();

    /// <inheritdoc/>
    public override Encoding Encoding => Encoding.UTF8;

    /// <inheritdoc/>
    public override void Write(char value)
    {
        lock (waiting)
        {
            if (value != '\n')
            {
                waiting.Append(value);
                return;
            }

            screen.Write(new Line().Add(waiting.ToString().TrimEnd('\r'), Look.Quiet));
            waiting.Clear();
        }
    }

    /// <inheritdoc/>
    public override void WriteLine(string? value)
    {
        // As a whole, so that the lines of several threads do not mix.
        lock (waiting)
        {
            foreach (var character in value ?? "")
                Write(character);

            Write('\n');
        }
    }
}
