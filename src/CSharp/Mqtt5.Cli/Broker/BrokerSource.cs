namespace Mqtt5.Cli;

/// <summary>
/// Where the settings of a broker come from: the files of <c>--mosquitto-config</c> and <c>--config</c>, and the options of
/// the command line, which win. The files are read at each call.
/// </summary>
/// <param name="mosquitto">The configuration of mosquitto; null: none.</param>
/// <param name="config">The JSON file; null: none.</param>
/// <param name="options">Puts the options of the command line into a request.</param>
internal sealed class BrokerSource(string? mosquitto, string? config, Action<BrokerRequest> options)
{
    private readonly HashSet<string> told = [];

    /// <summary>The files.</summary>
    public IEnumerable<string> Files => new[] { mosquitto, config }.OfType<string>();

    /// <summary>Reads them. What a configuration of mosquitto has that has no counterpart is told once.</summary>
    /// <exception cref="UsageException">A file or an option cannot be used; the message names it, key and reason.</exception>
    public async Task<BrokerRequest> ReadAsync(Terminal terminal)
    {
        var request = new BrokerRequest();

        if (mosquitto is not null)
        {
            foreach (var line in MosquittoConfiguration.Apply(mosquitto, request))
            {
                if (told.Add(line))
                    await terminal.Error.WriteLineAsync($"mqtt5: {line}");
            }
        }

        if (config is not null)
            BrokerConfiguration.Apply(config, request);

        options(request);
        return request;
    }

    /// <summary>A key with the file that it comes from, for messages about a change.</summary>
    public string Name(string key) => (config ?? mosquitto) is { } file ? $"{file}: {key}" : key;
}
