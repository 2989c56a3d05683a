namespace Fanfare.Gateway.Apis.Templates;

/// <summary>The resource types that make up an Event API.</summary>
internal static class ResourceTypes
{
    public const string Api = "AWS::AppSync::Api";
    public const string ChannelNamespace = "AWS::AppSync::ChannelNamespace";
    public const string ApiKey = "AWS::AppSync::ApiKey";
    public const string DataSource = "AWS::AppSync::DataSource";
    public const string DomainName = "AWS::AppSync::DomainName";
    public const string DomainNameApiAssociation = "AWS::AppSync::DomainNameApiAssociation";

    /// <summary>Whether the type is read rather than ignored.</summary>
    public static bool IsEventApi(string type) =>
        type is Api or ChannelNamespace or ApiKey or DataSource or DomainName or DomainNameApiAssociation;
}
