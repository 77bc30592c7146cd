namespace Mqtt5.Cli;

/// <summary>Takes the lines of another password file over, such as one of mosquitto.</summary>
internal static class PasswordImport
{
    // The iterations of this project for PBKDF2-SHA512; fewer are quicker to guess.
    private const int FewIterations = 100_000;

    /// <summary>Puts all names of the file to import into the other, or none if a line cannot be used, and says what was done.</summary>
    /// <exception cref="UsageException">Options contradict each other, or the file to import cannot be used.</exception>
    public static async Task RunAsync(PasswordRequest request, Terminal terminal, CancellationToken cancellationToken)
    {
        if (request.Name is not null || request.Delete || request.ScramIterations is not null)
            throw new UsageException("--import takes all names of its file as they are; it goes with neither NAME nor --delete nor --scram");

        var imported = (await ReadAsync(request.Import!, cancellationToken)).Where(IsEntry).ToList();

        if (imported.Count == 0)
            throw new UsageException($"--import: {request.Import}: there are no names in it");

        var replaced = 0;
        await SharedFile.ChangeAsync(request.File, text =>
        {
            // It may be called again, if another process changed the file meanwhile.
            replaced = 0;
            var lines = PasswordVerb.Lines(text);

            foreach (var line in imported)
            {
                if (PasswordVerb.IndexOf(lines, NameOf(line)) is var known and >= 0)
                {
                    lines[known] = line;
                    replaced++;
                }
                else
                {
                    lines.Add(line);
                }
            }

            return PasswordVerb.Text(lines);
        }, cancellationToken);

        await terminal.Output.WriteLineAsync($"imported {Figures.Count(imported.Count, "name")}, {replaced} of them in place of a line that was there");
        var weak = imported.Where(IsWeak).Select(NameOf).ToList();

        if (weak.Count > 0)
            await terminal.Error.WriteLineAsync($"mqtt5: {Figures.Count(weak.Count, "user")} with a weak hash; set the password anew: {string.Join(' ', weak.Take(10))}{(weak.Count > 10 ? " ..." : "")}");
    }

    private static async Task<List<string>> ReadAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            return PasswordVerb.Lines(await SharedFile.ReadAsync(file, mustExist: true, cancellationToken));
        }
        catch (Exception failure) when (failure is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--import: {file}: {failure.Message}");
        }
    }

    private static bool IsEntry(string line) => line.Length > 0 && line[0] != '#';

    private static string NameOf(string line) => line[..line.IndexOf(':', StringComparison.Ordinal)];

    // One SHA-512, or PBKDF2 with few iterations, as mosquitto_passwd makes it.
    private static bool IsWeak(string line) =>
        line[(NameOf(line).Length + 1)..].Split('$') is ["", "6" or "7", _, ..] and var parts
        && (parts[1] == "6" || !int.TryParse(parts[2], out var iterations) || iterations < FewIterations);
}
