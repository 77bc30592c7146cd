namespace Mqtt5.Cli;

/// <summary>Where the payload of what is published comes from.</summary>
internal enum PayloadSource
{
    /// <summary>The command line.</summary>
    Text,

    /// <summary>A file, as a whole.</summary>
    File,

    /// <summary>Standard input, a message for each line.</summary>
    Lines,

    /// <summary>Standard input, as a whole.</summary>
    Input,

    /// <summary>Nowhere: it is empty.</summary>
    Empty,
}
