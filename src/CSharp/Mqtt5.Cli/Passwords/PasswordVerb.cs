using System.Text;

namespace Mqtt5.Cli;

/// <summary>Changes a password file.</summary>
internal static class PasswordVerb
{
    /// <summary>Sets or deletes the password of a name.</summary>
    public static async Task<int> RunAsync(PasswordRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        try
        {
            if (request.Import is not null)
            {
                await PasswordImport.RunAsync(request, terminal, cancellationToken);
                return ExitCode.WellFormed;
            }

            if (request.Name is null)
                throw new UsageException("NAME is missing");

            if (TextArgument.Text("NAME", request.Name) is not { Length: > 0 })
                throw new UsageException("NAME: the name is empty");

            // An unusable file is reported before the password prompt.
            Change(request, await SharedFile.ReadAsync(request.File, mustExist: false, cancellationToken), null);
            var entry = request.Delete ? null : Entry(request, Encoding.UTF8.GetBytes(await ReadPasswordAsync(terminal, cancellationToken)));
            await SharedFile.ChangeAsync(request.File, text => Change(request, text, entry), cancellationToken);
            return ExitCode.WellFormed;
        }
        catch (FormatException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {request.File}: {exception.Message}");
            return ExitCode.BadUsage;
        }
        catch (ArgumentException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {TextArgument.WithoutParameter(exception)}");
            return ExitCode.BadUsage;
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {description}");
            return ExitCode.BadUsage;
        }
    }

    // Replaces the entry of the name in the text of the file; null: removes it.
    private static string Change(PasswordRequest request, string text, string? entry)
    {
        var lines = Lines(text);
        var known = IndexOf(lines, request.Name!);

        if (known >= 0)
            lines.RemoveAt(known);
        else if (request.Delete)
            throw new UsageException($"{request.File}: there is no {request.Name}");

        if (entry is not null)
            lines.Insert(known >= 0 ? known : lines.Count, entry);

        return Text(lines);
    }

    /// <summary>The lines of a password file.</summary>
    /// <exception cref="FormatException">One of them cannot be used; the message has its number.</exception>
    public static List<string> Lines(string text)
    {
        MqttPasswordFile.Parse(text);
        var lines = text.Split('\n').Select(line => line.TrimEnd('\r')).ToList();

        if (lines[^1].Length == 0)
            lines.RemoveAt(lines.Count - 1);

        return lines;
    }

    /// <summary>Where the line of a name is; -1: there is none.</summary>
    public static int IndexOf(List<string> lines, string name) =>
        lines.FindIndex(line => line.StartsWith(name + ":", StringComparison.Ordinal));

    /// <summary>The text of a file with these lines.</summary>
    public static string Text(IEnumerable<string> lines) => string.Concat(lines.Select(line => line + "\n"));

    private static string Entry(PasswordRequest request, byte[] password) =>
        request.ScramIterations is { } iterations
            ? MqttPasswordFile.Line(request.Name!, MqttScramCredentials.Derive(password, iterations))
            : MqttPasswordFile.Line(request.Name!, password);

    private static async Task<string> ReadPasswordAsync(Terminal terminal, CancellationToken cancellationToken)
    {
        if (!terminal.IsInputRedirected)
        {
            if (SecretPrompt.Ask(terminal, "Password: ") is not { Length: > 0 } typed)
                throw new UsageException("no password was typed");

            // The input is not echoed, so a typing error would be found only when the client cannot connect.
            return SecretPrompt.Ask(terminal, "The same again: ") == typed
                ? typed
                : throw new UsageException("the two are not the same; nothing was changed");
        }

        using var reader = new StreamReader(terminal.OpenInput(), new UTF8Encoding(false, true));
        return await reader.ReadLineAsync(cancellationToken) is { Length: > 0 } password
            ? password
            : throw new UsageException("there is no password on standard input");
    }
}
